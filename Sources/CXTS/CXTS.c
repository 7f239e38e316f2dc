#include "CXTS.h"
