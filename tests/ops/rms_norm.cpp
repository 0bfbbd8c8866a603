// rms_norm's front door: values worked out by hand, with a residual, and what it refuses.
#include <cotenant/ops/rms_norm.hpp>

#include <cmath>

#include "support.hpp"

namespace cotenant::test {

TEST_CASE("rows are divided by the root of their mean square") {
  const auto y = list(rms_norm(tensor({3.f, 4.f, 0.f, 0.f}, {1, 4}), tensor({2.f, 1.f, 1.f, 1.f}, {4}), 0.f));
  CHECK(y[0] == doctest::Approx(2.4));
  CHECK(y[1] == doctest::Approx(1.6));
  CHECK(y[2] == 0);
  // epsilon counts beside the mean square.
  CHECK(list(rms_norm(tensor({1.f, 1.f}, {2}), tensor({1.f, 1.f}, {2}), 3.f))[0] == doctest::Approx(0.5));
}

TEST_CASE("a residual is added first, and the sum can be kept") {
  const auto x = tensor({1.f, 4.f}, {1, 2}), residual = tensor({2.f, 0.f}, {1, 2}), scale = tensor({1.f, 1.f}, {2});
  const double root = std::sqrt(12.5);
  CHECK(list(rms_norm(x, scale, 0.f, residual))[1] == doctest::Approx(4 / root));
  const auto sum = blank<float>({1, 2});
  rms_norm_into(x, x, scale, 0.f, residual, sum);
  CHECK(list(sum) == Values{3, 4});
  CHECK(list(x)[0] == doctest::Approx(3 / root));
}

TEST_CASE("rms_norm says which shapes do not fit") {
  const auto x = blank<float>({2, 3}), scale = blank<float>({3});
  CHECK(has(message_of<ShapeError>([&] { rms_norm(x, blank<float>({2})); }), "rms_norm"));
  CHECK(has(message_of<ShapeError>([&] { rms_norm(x, scale, 0.f, blank<float>({3})); }), "residual"));
  CHECK_THROWS_AS(rms_norm_into(x, x, scale, 0.f, x, blank<float>({3, 2})), ShapeError);
  CHECK_THROWS_AS(rms_norm(x, scale, -1.f), InvalidArgument);
  CHECK_THROWS_AS(rms_norm(x, scale, 0.f, SharedTensor<float, ReferenceHeap>{}), InvalidArgument);
}

}  // namespace cotenant::test
