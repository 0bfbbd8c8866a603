// A user's program: computes in two translation units, which must agree.
#include <cotenant/cotenant.hpp>

#include <cstdio>

namespace ct = cotenant;

float other_unit(const ct::SharedTensor<float>& x);

int main() {
  const auto x = ct::from<float>({1, 2, 3, 4}, {2, 2});
  const auto bias = ct::from<float>({-10, 0}, {2});
  const auto y = ct::matmul(x, x, [](auto acc, auto b) { return relu(acc + b); }, bias);  // [[7, 10], [15, 22]] + bias
  const auto view = y.view();
  const bool right = view(0, 0) == 0.f && view(0, 1) == 10.f && view(1, 0) == 5.f && view(1, 1) == 22.f;

  const auto doubled = ct::map([](auto v) { return v * 2.f + 1.f; }, x);
  const float here = doubled.view()(1, 1), there = other_unit(x);
  std::printf("cotenant %s: matmul %s, map %g here and %g in the other unit\n", COTENANT_VERSION_STRING, right ? "right" : "wrong", static_cast<double>(here),
              static_cast<double>(there));
  return right && here == 9.f && there == 9.f ? 0 : 1;
}
