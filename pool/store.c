/* to be written */
typedef int store_c_is_not_empty;
