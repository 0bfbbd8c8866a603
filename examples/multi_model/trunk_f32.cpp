// Trunks with weights in f32.
#include "trunk_of.hpp"

template struct example::TrunkOf<float>;
