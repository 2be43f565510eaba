/* to be written */
typedef int lock_c_is_not_empty;
