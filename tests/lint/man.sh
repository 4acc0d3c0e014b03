#!/bin/sh
# man.sh: the manuals are clean.
mandoc -T lint -W warning man/*.[0-9]
