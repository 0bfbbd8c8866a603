// Source and Sink: elements with their type erased, found by offset.
#include "cotenant/cpu/tile.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace {

using namespace cotenant;

// What the kernels of a CPU target do for int16 elements.
void load_int16(const void* from, std::ptrdiff_t stride, std::size_t count, float* to) {
  for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<float>(static_cast<const std::int16_t*>(from)[static_cast<std::ptrdiff_t>(i) * stride]);
}
void store_int16(const float* from, void* to, std::ptrdiff_t stride, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) static_cast<std::int16_t*>(to)[static_cast<std::ptrdiff_t>(i) * stride] = static_cast<std::int16_t>(from[i]);
}

TEST_CASE("an offset counts elements, not bytes, and may be negative") {
  std::vector<std::int16_t> elements(20);
  auto* const middle = reinterpret_cast<char*>(elements.data() + 10);
  const cpu::Source source{middle, 2, 5, 1, &load_int16, false};
  CHECK(source.at(0) == middle);
  CHECK(source.at(3) == middle + 6);
  CHECK(source.at(-10) == reinterpret_cast<char*>(elements.data()));
  const cpu::Sink sink{middle, 4, 5, 1, &store_int16, false};
  CHECK(sink.at(2) == middle + 8);
  CHECK(sink.at(-1) == middle - 4);
}

TEST_CASE("a moved operand differs only in where it begins") {
  std::vector<std::int16_t> elements(20);
  auto* const data = reinterpret_cast<char*>(elements.data());
  const cpu::Source source = cpu::Source{data, 2, 5, -1, &load_int16, true}.moved(7);
  CHECK(source.data == data + 14);
  CHECK(source.element_size == 2);
  CHECK(source.row_stride == 5);
  CHECK(source.column_stride == -1);
  CHECK((source.load == &load_int16));
  CHECK(source.is_float);
  CHECK(source.moved(-7).data == data);
  const cpu::Sink sink = cpu::Sink{data, 2, 5, -1, &store_int16, true}.moved(3).moved(4);
  CHECK(sink.data == data + 14);
  CHECK(sink.element_size == 2);
  CHECK(sink.row_stride == 5);
  CHECK(sink.column_stride == -1);
  CHECK((sink.store == &store_int16));
  CHECK(sink.is_float);
}

TEST_CASE("rows and columns of a matrix, read and written through the erased type") {
  // 3 x 4, row-major: element (r, c) is 10 r + c.
  std::vector<std::int16_t> matrix;
  for (int r = 0; r < 3; ++r)
    for (int c = 0; c < 4; ++c) matrix.push_back(static_cast<std::int16_t>(10 * r + c));
  const cpu::Source source{reinterpret_cast<const char*>(matrix.data()), sizeof(std::int16_t), 4, 1, &load_int16, false};
  std::vector<float> row(4), column(3);
  source.load(source.moved(2 * source.row_stride).data, source.column_stride, 4, row.data());
  CHECK(row == std::vector<float>{20, 21, 22, 23});
  source.load(source.moved(3 * source.column_stride).data, source.row_stride, 3, column.data());
  CHECK(column == std::vector<float>{3, 13, 23});
  // Written transposed.
  std::vector<std::int16_t> transposed(12, -1);
  const cpu::Sink sink{reinterpret_cast<char*>(transposed.data()), sizeof(std::int16_t), 1, 3, &store_int16, false};
  sink.store(row.data(), sink.moved(2 * sink.row_stride).data, sink.column_stride, 4);
  CHECK(transposed == std::vector<std::int16_t>{-1, -1, 20, -1, -1, 21, -1, -1, 22, -1, -1, 23});
}

TEST_CASE("nothing is an operand by default") {
  CHECK(cpu::Source{}.data == nullptr);
  CHECK((cpu::Source{}.load == nullptr));
  CHECK_FALSE(cpu::Source{}.is_float);
  CHECK(cpu::Sink{}.data == nullptr);
  CHECK((cpu::Sink{}.store == nullptr));
  CHECK_FALSE(cpu::Sink{}.is_float);
}

TEST_CASE("a staging buffer of a row is 2 KiB: whole vectors of any target") {
  static_assert(cpu::staged_columns * sizeof(float) == 2048);
  static_assert(cpu::staged_columns % (256 / sizeof(float)) == 0);  // the widest: SVE's and RVV's 2048 bits
}

}  // namespace
