// A tensor of an element type that no model here uses.
// expect: (constraint failure|constraints not satisfied)
// expect: satisfaction of 'Element<T>' \[with T = double\]|'double' does not satisfy 'Element'
#include "cotenant/share/tensor.hpp"

cotenant::SharedTensor<double> tensor;
