/* to be written */
typedef int buf_c_is_not_empty;
