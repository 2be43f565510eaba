/* to be written */
typedef int message_c_is_not_empty;
