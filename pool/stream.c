/* to be written */
typedef int stream_c_is_not_empty;
