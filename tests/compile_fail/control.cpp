// What the other files of this folder do, done right.
// expect: compiles
#include "cotenant/reference/reference.hpp"

namespace ct = cotenant;

float control() {
  ct::SharedTensor<float, ct::ReferenceHeap> x = ct::empty<float, ct::ReferenceHeap>({2, 2});
  const auto sum = ct::map([](auto a, auto b) { return gelu(a + b); }, x, x);
  const auto product = ct::matmul(sum, x, [](auto acc, auto bias) { return acc + bias; }, x);
  const auto quantized = ct::quantize<std::int8_t>(product);
  ct::View<float> writable = x.mutable_view();
  writable(0, 0) = static_cast<float>(quantized.values.view()(0, 0));
  const ct::View<const float> readable = writable;
  return readable(0, 0);
}
