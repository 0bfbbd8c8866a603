// The reference's attention: the same as its matmul, softmax and matmul, in place too.
#include "cotenant/reference/reference.hpp"

#include <doctest/doctest.h>

#include <cmath>

namespace cotenant::test {

TEST_CASE("the reference's attention is softmax(q kT) v") {
  const auto ramp = [](const Shape& shape, float step) {
    auto t = empty<float, ReferenceHeap>(shape);
    for (std::size_t i = 0; i < t.size(); ++i) t.mutable_view().data()[i] = std::sin(step * static_cast<float>(i));
    return t;
  };
  const auto q = ramp({2, 3, 4}, 0.7f), k = ramp({2, 5, 4}, 1.3f), v = ramp({2, 5, 4}, 2.1f);
  const auto expected = matmul(softmax(matmul(q, k.transpose(), [](auto sum) { return sum * 0.5f; })), v);
  attention_into(q, q, k, v);
  for (std::size_t i = 0; i < q.size(); ++i) CHECK(q.view().data()[i] == doctest::Approx(expected.view().data()[i]).epsilon(1e-6));
}

}  // namespace cotenant::test
