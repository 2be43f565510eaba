/* to be written */
typedef int opts_c_is_not_empty;
