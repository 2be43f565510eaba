/* to be written */
typedef int frame_c_is_not_empty;
