// The same program as one translation unit: for consumers of which only finding and linking cotenant is asked.
#include "main.cpp"
#include "other.cpp"
