// A view for writing made from a view for reading.
// expect: (conversion from|no viable conversion from) .*View<const float>
#include "cotenant/share/tensor.hpp"

float write(const cotenant::SharedTensor<float>& tensor) {
  cotenant::View<float> view = tensor.view();
  return view(0);
}
