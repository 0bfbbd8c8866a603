// The reference's rows: what softmax, its logarithm and the norms give where floats alone would fail.
#include "cotenant/reference/reference.hpp"

#include <doctest/doctest.h>

#include <cmath>

namespace cotenant::test {

TEST_CASE("the reference's log_softmax keeps what the logarithm of softmax loses") {
  auto x = empty<float, ReferenceHeap>({1, 2});
  x.mutable_view()(0, 0) = 0;
  x.mutable_view()(0, 1) = -1000;
  CHECK(softmax(x).view()(0, 1) == 0);
  CHECK(log_softmax(x).view()(0, 1) == -1000);
  CHECK(log_softmax(x).view()(0, 0) == 0);
}

TEST_CASE("the reference's rms_norm in double, in place") {
  auto x = empty<float, ReferenceHeap>({2});
  x.mutable_view()(0) = 3e19f;  // its square is no float
  x.mutable_view()(1) = 4e19f;
  auto scale = empty<float, ReferenceHeap>({2});
  scale.mutable_view()(0) = scale.mutable_view()(1) = 1;
  rms_norm_into(x, x, scale, 0.f);
  CHECK(x.view()(1) == doctest::Approx(4 / std::sqrt(12.5)));
}

}  // namespace cotenant::test
