/* to be written */
typedef int ring_c_is_not_empty;
