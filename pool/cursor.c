/* to be written */
typedef int cursor_c_is_not_empty;
