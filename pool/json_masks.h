/*
 * What the block scanner wants to know of 64 bytes: bit i is about byte i.
 */
#ifndef JSON_MASKS_H
#define JSON_MASKS_H

#include <stdint.h>

struct masks {
    uint64_t quote;   /* '"' */
    uint64_t slash;   /* '\' */
    uint64_t high;    /* 0x80 and above */
    uint64_t control; /* below 0x20 */
    uint64_t space;   /* ' ' */
    uint64_t open;    /* '{' and '[' */
    uint64_t close;   /* '}' and ']' */
    uint64_t object;  /* bit 5 of the byte: tells '{' from '[' and '}' from ']' */
    uint64_t comma;
    uint64_t colon;
    uint64_t digit; /* '0' to '9' */
    uint64_t minus;
    uint64_t zero; /* '0' */
};

#endif
