/* to be written */
typedef int pool_c_is_not_empty;
