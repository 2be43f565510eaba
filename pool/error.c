/* to be written */
typedef int error_c_is_not_empty;
