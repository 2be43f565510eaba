/* to be written */
typedef int header_c_is_not_empty;
