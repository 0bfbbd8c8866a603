// The reference's rotary keeps lengths: a turn by any angle, and back.
#include "cotenant/reference/reference.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace cotenant::test {

TEST_CASE("the reference's rotary turns back by the opposite angle") {
  const auto tables = rotary_tables(7, 4);
  const auto moved = [](const SharedTensor<float>& table) {
    auto result = empty<float, ReferenceHeap>(table.shape());
    std::copy_n(table.view().data(), table.size(), result.mutable_view().data());
    return result;
  };
  const auto cosine = moved(tables.cosine), sine = moved(tables.sine);
  auto x = empty<float, ReferenceHeap>({7, 5});
  for (std::size_t i = 0; i < x.size(); ++i) x.mutable_view().data()[i] = static_cast<float>(i) - 11;
  const auto turned = rotary(x, cosine, sine);
  CHECK(turned.view()(3, 0) != x.view()(3, 0));
  const auto back = rotary(turned, cosine, map([](auto v) { return -v; }, sine));
  for (std::size_t i = 0; i < x.size(); ++i) CHECK(back.view().data()[i] == doctest::Approx(x.view().data()[i]).epsilon(1e-5));
}

}  // namespace cotenant::test
