/* to be written */
typedef int index_c_is_not_empty;
