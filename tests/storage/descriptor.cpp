// Descriptor: closed once, by whoever owns it last.
#include "cotenant/storage/descriptor.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>

#include <utility>

namespace ct = cotenant;

TEST_CASE("a descriptor is closed with its owner, and only then") {
  const auto is_open = [](int number) { return ::fcntl(number, F_GETFD) >= 0; };
  int number = -1, other_number = -1;
  {
    ct::Descriptor first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    REQUIRE(first);
    number = first.number();
    ct::Descriptor second(std::move(first));
    CHECK_FALSE(first);
    CHECK(second.number() == number);
    ct::Descriptor third(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    other_number = third.number();
    third = std::move(second);
    CHECK_FALSE(is_open(other_number));
    CHECK(is_open(number));
    ct::Descriptor& same = third;
    third = std::move(same);
    CHECK(is_open(number));
  }
  CHECK_FALSE(is_open(number));
}

TEST_CASE("a released descriptor is its new owner's; a failed one is nobody's") {
  ct::Descriptor descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int number = descriptor.release();
  CHECK_FALSE(descriptor);
  CHECK(::fcntl(number, F_GETFD) >= 0);
  CHECK(::close(number) == 0);
  const ct::Descriptor failed(::open("/nonexistent", O_RDONLY | O_CLOEXEC));
  CHECK_FALSE(failed);
}
