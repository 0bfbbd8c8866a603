#include "cotenant/vulkan/module_types.hpp"

#include <doctest/doctest.h>

#include "changed_module.hpp"

using namespace cotenant::test;

TEST_CASE("instructions take operands and give results of their types") {
  const std::size_t load = find(61), integer = find(21), real = find(22);
  CHECK(has(changed(load + 1, axpy[real + 1]), "a load of another type"));
  CHECK(has(changed(find(133) + 1, axpy[integer + 1]), "types that the instruction does not take"));
  CHECK(has(changed(real + 2, 31), "a float of unknown width"));
  CHECK(has(changed(find(59, 1) + 3, 4), "another storage class"));
}

TEST_CASE("a float may say how its bits are read: those of bfloat16 are 16 wide as well") {
  Words words = axpy;
  const std::size_t real = find(22);
  words[real] = 4u << 16 | 22u;
  words.insert(words.begin() + static_cast<std::ptrdiff_t>(real) + 3, 0);
  CHECK(refusal(words) == "no error");
}
