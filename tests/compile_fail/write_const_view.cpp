// Writing an element through a view for reading.
// expect: read-only location|cannot assign to return value
#include "cotenant/core/view.hpp"

void write(cotenant::View<const float> view) { view(0) = 1.f; }
