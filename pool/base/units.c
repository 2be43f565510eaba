/* to be written */
typedef int units_c_is_not_empty;
