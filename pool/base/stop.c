/* to be written */
typedef int stop_c_is_not_empty;
