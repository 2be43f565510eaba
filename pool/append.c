/* to be written */
typedef int append_c_is_not_empty;
