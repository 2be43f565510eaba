/* to be written */
typedef int intake_c_is_not_empty;
