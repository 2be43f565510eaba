/* to be written */
typedef int out_c_is_not_empty;
