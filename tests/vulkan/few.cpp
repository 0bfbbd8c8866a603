#include "cotenant/vulkan/few.hpp"

#include <doctest/doctest.h>

#include <span>

using cotenant::vulkan::Few;

TEST_CASE("elements stay in order and can be changed, inline and on the heap, in copies too") {
  for (const int count : {0, 1, 3, 4, 5, 100}) {
    Few<int, 4> numbers;
    for (int i = 0; i < count; ++i) numbers.push_back(i);
    if (count > 0) numbers.back() += 1000;
    const Few<int, 4> copy = numbers;
    numbers.assign(2, 7);
    numbers.append(std::span<const int>(copy.begin(), copy.end()));
    CHECK(numbers.size() == static_cast<std::size_t>(count) + 2);
    CHECK(numbers[1] == 7);
    const std::span<const int> seen(numbers);
    for (int i = 0; i < count; ++i) CHECK(seen[static_cast<std::size_t>(i) + 2] == (i + 1 == count ? i + 1000 : i));
    CHECK(copy.size() == static_cast<std::size_t>(count));
    CHECK(copy == Few<int, 4>(copy));
    CHECK_FALSE(copy == numbers);
  }
}
