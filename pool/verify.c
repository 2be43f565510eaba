/* to be written */
typedef int verify_c_is_not_empty;
