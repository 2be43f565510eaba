/* The text of README, for each kind of directory. */
#ifndef FS_README_H
#define FS_README_H

#include "path.h"

const char *readme_text(const struct place *place);

#endif
