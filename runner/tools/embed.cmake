# cmake -DFROM=FILE -DTO=FILE.inc -P embed.cmake: the bytes of a file as lines of a C++ initialiser.
file(READ ${FROM} BYTES HEX)
string(REPEAT "." 32 LINE)
string(REGEX REPLACE "(${LINE})" "\\1\n" BYTES "${BYTES}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," BYTES "${BYTES}")
file(WRITE ${TO} "${BYTES}\n")
