// derive: computed once per elements and kind, kept with the block, counted.
#include "cotenant/share/derive.hpp"

#include <doctest/doctest.h>

namespace ct = cotenant;

namespace {
struct Doubled {};
struct Negated {};
struct Scale {
  float value;
};
std::size_t kept_bytes(const Scale&) { return sizeof(Scale); }
}  // namespace

TEST_CASE("derive keeps a value with a frozen tensor's bytes, per kind and per elements") {
  int made = 0;
  const auto twice = [&made](const ct::SharedTensor<float>& x) {
    return ct::derive<Doubled>(x, [&] {
      ++made;
      auto result = ct::empty<float>(x.shape());
      for (std::size_t i = 0; i < x.size(); ++i) result.mutable_view().span()[i] = 2 * x.view().data()[i];
      return result;
    });
  };
  const auto tensor = ct::from<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  const auto first = twice(tensor), again = twice(tensor);
  CHECK(made == 2);  // it might still be written
  CHECK(first.block() != again.block());
  tensor.freeze();
  const auto kept = twice(tensor);
  CHECK(twice(tensor).block() == kept.block());
  CHECK(twice(ct::SharedTensor<float>(tensor)).block() == kept.block());
  CHECK(made == 3);
  CHECK(kept.view()(1, 2) == 12.0f);
  CHECK(tensor.block()->derived().bytes() == kept.block()->bytes());

  CHECK(twice(tensor.slice(0, 1, 2)).view()(0, 0) == 8.0f);  // other elements
  CHECK(twice(tensor.transpose()).block() != kept.block());
  CHECK(made == 5);
  const auto scale = ct::derive<Scale>(tensor, [] { return Scale{3}; });
  CHECK(scale.value == 3);
  CHECK(ct::derive<Scale>(tensor, [] { return Scale{4}; }).value == 3);
  CHECK(ct::derive<Negated>(tensor, [] { return Scale{5}; }).value == 5);

  // What is derived from the derived counts too.
  kept.freeze();
  const auto four_times = twice(kept);
  CHECK(ct::kept_bytes(kept) == kept.block()->bytes() + four_times.block()->bytes());
  CHECK(ct::kept_bytes(ct::SharedTensor<float>()) == 0);
}

TEST_CASE("derive takes tensors of every rank; matrices, vectors and scalars are kept") {
  const auto tensor = ct::full<float>({2, 3, 4}, 1.0f);
  tensor.freeze();
  int made = 0;
  const auto count = [&made](const ct::SharedTensor<float>& x) { return ct::derive<Scale>(x, [&made] { return Scale{static_cast<float>(++made)}; }).value; };
  CHECK(count(tensor) == 1);
  CHECK(count(tensor) == 2);
  CHECK(count(tensor.reshape({24})) == 3);
  CHECK(count(tensor.reshape({1, 24})) == 4);
  CHECK(count(tensor.reshape({24, 1})) == 5);
  CHECK(count(tensor.reshape({24})) == 3);
  CHECK(count(tensor.reshape({1, 24})) == 4);
  made = 3;
  const auto scalar = ct::full<float>({}, 1.0f);
  scalar.freeze();
  CHECK(count(scalar) == 4);
  CHECK(count(scalar) == 4);
  CHECK(count(ct::SharedTensor<float>()) == 5);
}
