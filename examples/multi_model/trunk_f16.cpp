// Trunks with weights in f16.
#include "trunk_of.hpp"

template struct example::TrunkOf<cotenant::f16>;
