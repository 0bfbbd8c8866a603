// What several tests of the manager need: a clock that stands still, the message of an error, a small tensor.
#ifndef COTENANT_TESTS_SHARE_SUPPORT_HPP
#define COTENANT_TESTS_SHARE_SUPPORT_HPP
#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "../error_text.hpp"
#include "cotenant/share/options.hpp"
#include "cotenant/share/tensor.hpp"

namespace share_tests {
using cotenant::test::has, cotenant::test::message_of;

// A clock that stands still until it is told.
struct FakeClock {
  std::shared_ptr<cotenant::TimePoint> time = std::make_shared<cotenant::TimePoint>(cotenant::TimePoint() + std::chrono::hours(1));
  cotenant::TimePoint operator()() const { return *time; }
  void advance(std::chrono::steady_clock::duration by) { *time += by; }
};

// The unit in which these tests count memory: a block of so many bytes lies in it without padding.
constexpr std::size_t page_bytes = 4096;

// 0, 1, 2, …: a block of 64 bytes unless told otherwise.
inline cotenant::SharedTensor<float> ramp(std::size_t count = 16) {
  auto tensor = cotenant::empty<float>({count});
  for (std::size_t i = 0; i < count; ++i) tensor.mutable_view()(i) = static_cast<float>(i);
  return tensor;
}

}  // namespace share_tests

#endif
