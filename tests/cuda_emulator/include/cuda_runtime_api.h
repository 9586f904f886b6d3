// SPDX-License-Identifier: MIT
#include "cuda_runtime.h"

#define CUDART_VERSION 12000
