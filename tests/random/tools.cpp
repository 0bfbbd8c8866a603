// What random tests are made of: they find what is wrong, and make it small.
#include <cotenant/cotenant.hpp>
#include <doctest/doctest.h>

#include "trial.hpp"

namespace cotenant::test {
namespace {

TEST_CASE("a failing record of draws becomes the smallest that fails") {
  // Fails where the third draw is 17 or more and the fifth is odd.
  const auto fails = [](const std::vector<std::uint32_t>& record) {
    Choices choices(record);
    std::array<std::size_t, 6> drawn{};
    for (std::size_t& one : drawn) one = choices.below(1000);
    return drawn[2] >= 17 && drawn[4] % 2 == 1;
  };
  std::vector<std::uint32_t> record{812, 3, 940, 77, 501, 6};
  REQUIRE(fails(record));
  record = smallest_failing(record, 500, fails);
  CHECK(record[2] == 17);
  CHECK((record[4] == 1 || record[4] == 3));  // 2 less is no half of it
  CHECK(record[0] + record[1] + record[3] == 0);
  CHECK(record.size() <= 6);
}

TEST_CASE("a record brings the same case back") {
  Choices first(7);
  Trial<Heap> trial(first, Heap{});
  const auto one = trial.input<float>(trial.shape());
  Choices second(first.record());
  Trial<Heap> again(second, Heap{});
  const auto other = again.input<float>(again.shape());
  CHECK(trial.text() == again.text());
  CHECK(to_string(one.shape()) == to_string(other.shape()));
  for_each_index(one.shape(), [&](const Index& index, std::size_t) { REQUIRE(is_expected(one.at(index), other.at(index))); });
}

// What expect() says of a sample.
template <class Sample, class Want> std::string said(const Sample& sample, Want want) {
  try {
    sample.expect("it", want);
  } catch (const Mismatch& mismatch) { return mismatch.text; }
  return {};
}

TEST_CASE("what is wrong in a view is found, and what changed around it") {
  auto whole = empty<float>({20});
  for (std::size_t i = 0; i < 20; ++i) whole.mutable_view().data()[i] = static_cast<float>(i);
  const Sample<float, Heap> sample(whole, {{2, 3}, {8, -2}, 6}, Heap{});
  const auto want = [](const Index& index) { return Real(6 + 8 * static_cast<int>(index[0]) - 2 * static_cast<int>(index[1])); };
  CHECK(said(sample, want) == "");
  auto inside = *sample;
  inside.mutable_view()(1, 2) += 0.5f;
  CHECK(said(sample, want).find("element [1, 2] of shape [2, 3] is 10.5") != std::string::npos);
  inside.mutable_view()(1, 2) -= 0.5f;
  inside.with({{1}, {1}, 7}).mutable_view()(0) = 1;
  CHECK(said(sample, want).find("element 7 of the block, which is outside of the view") != std::string::npos);
}

TEST_CASE("a float computation lies within the error of a Real one") {
  std::mt19937 random(3);
  const auto function = [](auto x, auto y) { return gelu(x * y + 1) / (abs(x) + 0.25f) - exp(y) * sigmoid(x); };
  const auto expression = expr::record<2>(function);
  double widest = 0;
  for (int i = 0; i < 10000; ++i) {
    const auto x = draw<float>(random, Values::uniform), y = draw<float>(random, Values::uniform);
    const Real want = function(Real(x), Real(y));
    REQUIRE(is_expected(expr::evaluate<float>(expression, std::tuple{x, y}), want));
    widest = std::max(widest, want.error / (1 + std::abs(want.value)));
  }
  // And not within any: a few units in the last place of what cancels.
  CHECK(widest < 1e-4);
  CHECK(!is_expected(1.001f, Real(1) + Real(0.0000001f)));
  CHECK(is_expected(convert<std::int8_t>(300.f), Real(300)));
  CHECK(!is_expected(0.f, -0.f));
}

}  // namespace
}  // namespace cotenant::test
