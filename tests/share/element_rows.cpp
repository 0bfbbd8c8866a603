// Rows of elements of a type that is known only at run time.
#include "cotenant/share/element_rows.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>

namespace ct = cotenant;
using ct::DType;
using namespace ct::detail;

TEST_CASE("rows are visited in order, along the last axis") {
  std::string seen;
  for_each_row({2, 3, 5}, [&](const ct::Shape& index) { seen += std::to_string(index[0]) + std::to_string(index[1]) + " "; });
  CHECK(seen == "00 01 02 10 11 12 ");
  int rows = 0;
  for_each_row({}, [&](const ct::Shape& index) { rows += index.rank() == 0; });
  for_each_row({7}, [&](const ct::Shape& index) { rows += index.rank() == 0; });
  CHECK(rows == 2);
  for_each_row({3, 0}, [&](const ct::Shape&) { ++rows; });
  CHECK(rows == 2);
}

TEST_CASE("rows of every type are read and written through float") {
  const float numbers[] = {-2, 0, 1, 7};
  for (DType dtype : {DType::f32, DType::f16, DType::bf16, DType::i8, DType::i32, DType::i64, DType::i4x2}) {
    CAPTURE(std::string(ct::to_string(dtype)));
    alignas(8) char bytes[32] = {};
    float back[4] = {};
    write_row(dtype, numbers, 4, bytes);
    read_row(dtype, bytes, 1, 4, back);
    for (int i = 0; i < 4; ++i) CHECK(back[i] == numbers[i]);
  }
  const float strided[] = {1, 9, 2, 9, 3};
  float back[3] = {};
  read_row(DType::f32, strided + 4, -2, 3, back);
  CHECK(back[0] == 3);
  CHECK(back[2] == 1);
  gather_row(sizeof(float), strided, 2, 3, back);
  CHECK(back[1] == 2);
}

TEST_CASE("quantising: ties to even, NaN, infinities, zeros") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  const float x[3][4] = {{127, 2.5f, -3.5f, nan}, {0, 0, nan, 0}, {infinity, -1, 1, -infinity}};
  const RowReader in(DType::f32, x, ct::contiguous_layout({3, 4}));
  std::int8_t values[12];
  float scale[3];
  quantize_rows(in, DType::i8, {3, 1}, values, scale, nullptr);
  const int expected[] = {127, 2, -4, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  for (int i = 0; i < 12; ++i) CHECK(int{values[i]} == expected[i]);
  CHECK(scale[0] == 1);
  CHECK(scale[1] == 1);
  CHECK(scale[2] == infinity);

  const float y[] = {-1, 0, 1, 254};
  std::uint8_t bytes[4], zero = 0;
  quantize_rows(RowReader(DType::f32, y, ct::contiguous_layout({4})), DType::u8, {1}, bytes, scale, &zero);
  CHECK(scale[0] == 1);
  CHECK(int{zero} == 1);
  CHECK(int{bytes[0]} == 0);
  CHECK(int{bytes[3]} == 255);
}
