/* to be written */
typedef int file_c_is_not_empty;
