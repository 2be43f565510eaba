/* to be written */
typedef int crc32c_c_is_not_empty;
