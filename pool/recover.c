/* to be written */
typedef int recover_c_is_not_empty;
