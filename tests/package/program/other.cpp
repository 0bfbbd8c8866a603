// The second translation unit of the user's program; one consumer compiles it with other CPU flags.
#include <cotenant/cotenant.hpp>

float other_unit(const cotenant::SharedTensor<float>& x) {
  return cotenant::map([](auto v) { return v * 2.f + 1.f; }, x).view()(1, 1);
}
