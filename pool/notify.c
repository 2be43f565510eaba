/* to be written */
typedef int notify_c_is_not_empty;
