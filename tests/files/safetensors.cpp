#include "cotenant/files/safetensors.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "../error_text.hpp"
#include "temporary_folder.hpp"

using namespace cotenant;
using test::has;

namespace {
const std::string safetensors_files = COTENANT_TEST_DATA "/safetensors/";

// Opens a file with this header and data and returns the error's sentence.
template <class E = BadFile> std::string refused_safetensors(const std::string& header, const std::string& data = "", std::size_t claimed = std::size_t(-1)) {
  const TemporaryFolder temporary;
  const auto path = temporary.write("hostile.safetensors", safetensors_bytes(header, data, claimed));
  try {
    SafetensorsFile::open(path);
  } catch (const E& error) {
    CHECK(std::string(error.what()).find("hostile.safetensors") != std::string::npos);
    return error.what();
  }
  return "accepted";
}
std::string entry(const std::string& name, const std::string& type, const std::string& shape, const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + type + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}
template <class T> void check_safetensors_ramp(const SafetensorsFile& file, const char* name, const Shape& shape, int first) {
  const auto tensor = file.tensor<T>(name);
  CHECK(tensor.shape() == shape);
  const auto span = tensor.view().span();
  for (std::size_t i = 0; i < span.size(); ++i) CHECK(static_cast<float>(span[i]) == static_cast<float>(static_cast<int>(i) + first));
}
}  // namespace

TEST_CASE("safetensors: a file made by the Python package, every type") {
  const auto file = SafetensorsFile::open(safetensors_files + "types.safetensors");
  check_safetensors_ramp<float>(file, "f32", {3, 4}, -3);
  check_safetensors_ramp<f16>(file, "f16", {2, 1, 3}, -3);
  check_safetensors_ramp<bf16>(file, "bf16", {5}, -3);
  check_safetensors_ramp<std::int8_t>(file, "i8", {7}, -3);
  check_safetensors_ramp<std::uint8_t>(file, "u8", {3}, 0);
  check_safetensors_ramp<std::int32_t>(file, "i32", {2, 2}, -3);
  check_safetensors_ramp<std::int64_t>(file, "i64", {2}, -3);
  check_safetensors_ramp<float>(file, "name with \"quotes\", \\ and ünïcödé 😀", {1}, -3);
  const auto flags = file.tensor<bool>("bool");
  for (std::size_t i = 0; i < 9; ++i) CHECK(flags.view()(i / 3, i % 3) == (i % 2 == 1));
  const auto scalar = file.tensor<float>("scalar");
  CHECK(scalar.rank() == 0);
  CHECK(scalar.view()() == 2.5f);
  const auto nothing = file.tensor<float>("empty");
  CHECK(nothing.shape() == Shape{0, 4});
  CHECK(nothing.size() == 0);
  CHECK(file.names().size() == 13);
  CHECK(file.metadata().at("format") == "pt");
  CHECK(file.metadata().at("note") == "zwölf\n\"x\"");
  CHECK_FALSE(file.copied());
}

TEST_CASE("safetensors: tensors are views of one mapping that outlive the file object") {
  SharedTensor<float, Mapped> tensor;
  {
    const auto file = SafetensorsFile::open(safetensors_files + "types.safetensors");
    tensor = file.tensor<float>("f32");
    CHECK(tensor.block() == file.tensor<std::int8_t>("i8").block());
    CHECK(tensor.block()->bytes() == std::filesystem::file_size(safetensors_files + "types.safetensors"));
  }
  CHECK(tensor.use_count() == 1);
  CHECK(tensor.view()(2, 3) == 8.0f);
  CHECK_THROWS_AS(tensor.check_writable(), ReadOnly);
}

TEST_CASE("safetensors: asking for what is not there") {
  const auto file = SafetensorsFile::open(safetensors_files + "types.safetensors");
  const auto message = [&](auto ask) -> std::string {
    try {
      ask();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  CHECK_THROWS_AS(file.tensor<float>("f23"), NotFound);
  CHECK(has(message([&] { file.tensor<float>("f23"); }), "'f32'"));
  CHECK_THROWS_AS(file.tensor<float>("f16"), TypeError);
  CHECK(has(message([&] { file.tensor<float>("f16"); }), "ask for f16"));
  CHECK_THROWS_AS(file.tensor<float>("f64"), TypeError);
  CHECK(has(message([&] { file.tensor<float>("f64"); }), "no such element type"));
  CHECK(file.info("f64").type == "F64");
  CHECK_FALSE(file.info("f64").dtype.has_value());
  CHECK(file.info("u16").shape == Shape{5});
  CHECK_THROWS_AS(SafetensorsFile::open(safetensors_files + "absent.safetensors"), NotFound);
  CHECK_THROWS_AS(SafetensorsFile::open(safetensors_files), IoError);
}

TEST_CASE("safetensors: an unaligned data section is copied once and aligned") {
  const auto file = SafetensorsFile::open(safetensors_files + "unaligned.safetensors");
  CHECK(file.copied());
  check_safetensors_ramp<float>(file, "a", {2, 3}, 0);
  check_safetensors_ramp<std::int64_t>(file, "b", {3}, 7);
  CHECK(file.tensor<float>("a").block() == file.tensor<std::int64_t>("b").block());
  CHECK(reinterpret_cast<std::uintptr_t>(file.tensor<std::int64_t>("b").view().data()) % 8 == 0);
  CHECK(std::string(file.tensor<float>("a").block()->storage_name()) == "mapped");
}

TEST_CASE("safetensors: a tensor unaligned within an aligned section is copied too") {
  const TemporaryFolder temporary;
  std::string header = "{" + entry("bytes", "U8", "[3]", "[0,3]") + "," + entry("float", "F32", "[1]", "[3,7]") + "," + entry("none", "F32", "[0]", "[7,7]") + "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const float value = 1.5f;
  const auto file = SafetensorsFile::open(temporary.write("x", safetensors_bytes(header, std::string("abc") + std::string(reinterpret_cast<const char*>(&value), 4))));
  CHECK(file.copied());
  CHECK(file.tensor<float>("float").view()(0) == 1.5f);
  CHECK(file.tensor<std::uint8_t>("bytes").view()(2) == 'c');
  CHECK(file.tensor<float>("none").size() == 0);
}

TEST_CASE("safetensors: only zero-size tensors, no tensor, padding, unknown types") {
  const TemporaryFolder temporary;
  CHECK(SafetensorsFile::open(temporary.write("a", safetensors_bytes("{}", ""))).names().empty());
  CHECK(SafetensorsFile::open(temporary.write("b", safetensors_bytes("{}      \n", ""))).names().empty());
  const auto nothing = SafetensorsFile::open(temporary.write("c", safetensors_bytes("{" + entry("z", "F32", "[3,0]", "[0,0]") + "}", "")));
  CHECK(nothing.tensor<float>("z").shape() == Shape{3, 0});
  const auto strange = SafetensorsFile::open(temporary.write("d", safetensors_bytes("{" + entry("q", "Q5_K", "[7]", "[0,5]") + "}", "12345")));
  CHECK(strange.info("q").type == "Q5_K");
  CHECK_THROWS_AS(strange.tensor<std::uint8_t>("q"), TypeError);
}

TEST_CASE("safetensors: lying lengths") {
  const TemporaryFolder temporary;
  for (const char* text : {"", "1", "1234567"}) CHECK_THROWS_AS(SafetensorsFile::open(temporary.write("short", text)), BadFile);
  CHECK(has(refused_safetensors("{}", "", 3), "truncated"));
  CHECK(has(refused_safetensors("{}", "", 99'999'999), "truncated"));
  CHECK(has(refused_safetensors("{}", "", 100'000'001), "100000000"));
  CHECK(has(refused_safetensors("{}", "", ~std::size_t{0} - 1), "more than"));
  CHECK(has(refused_safetensors("{}", "", ~std::size_t{0} - 7), "more than"));
  CHECK(has(refused_safetensors("", ""), "begin with '{'"));
  CHECK(has(refused_safetensors(" {}", ""), "begin with '{'"));
  CHECK(has(refused_safetensors("[]", ""), "begin with '{'"));
  CHECK(has(refused_safetensors("{", ""), "header"));
  CHECK(has(refused_safetensors("{}x", ""), "header"));
}

TEST_CASE("safetensors: every truncation of a good file is refused") {
  const TemporaryFolder temporary;
  const std::string good = safetensors_bytes("{" + entry("a", "F32", "[2]", "[0,8]") + "}", "12345678");
  CHECK_NOTHROW(SafetensorsFile::open(temporary.write("good", good)));
  for (std::size_t bytes = 0; bytes < good.size(); ++bytes) {
    CAPTURE(bytes);
    CHECK_THROWS_AS(SafetensorsFile::open(temporary.write("cut", good.substr(0, bytes))), BadFile);
  }
  CHECK_THROWS_AS(SafetensorsFile::open(temporary.write("long", good + "x")), BadFile);
}

TEST_CASE("safetensors: no flipped byte crashes") {
  const TemporaryFolder temporary;
  const std::string good =
      safetensors_bytes("{\"__metadata__\":{\"k\":\"v\"}," + entry("a", "F32", "[2,1]", "[0,8]") + "," + entry("b", "BOOL", "[2]", "[8,10]") + "}  ",
                        std::string("12345678\1\0", 10));
  std::size_t opened = 0;
  for (std::size_t at = 0; at < good.size(); ++at)
    for (int flip : {1, 0x10, 0x80, 0xFF}) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ flip);
      try {
        const auto file = SafetensorsFile::open(temporary.write("flipped", bytes));
        for (const SafetensorsInfo& info : file.tensors()) {
          if (info.dtype == DType::f32) static_cast<void>(file.tensor<float>(info.name).view().span()[0]);
          if (info.dtype == DType::boolean) static_cast<void>(file.tensor<bool>(info.name).view().span()[0]);
        }
        ++opened;
      } catch (const Error&) {
      }
    }
  CHECK(opened > 0);
}

TEST_CASE("safetensors: ranges that overlap, leave holes, run backwards or beyond the end") {
  const std::string data(16, 'x');
  CHECK(has(refused_safetensors("{" + entry("a", "F32", "[2]", "[0,8]") + "," + entry("b", "F32", "[3]", "[4,16]") + "}", data), "'b' begins at byte 4 inside"));
  CHECK(has(refused_safetensors("{" + entry("a", "F32", "[2]", "[0,8]") + "," + entry("b", "F32", "[2]", "[0,8]") + "}", data), "inside"));
  CHECK(has(refused_safetensors("{" + entry("a", "F32", "[1]", "[0,4]") + "," + entry("b", "F32", "[2]", "[8,16]") + "}", data), "'b' begins at byte 8, which leaves a hole"));
  CHECK(has(refused_safetensors("{" + entry("a", "F32", "[2]", "[8,16]") + "}", data), "hole"));
  CHECK(has(refused_safetensors("{" + entry("a", "F32", "[2]", "[0,8]") + "}", data), "cover 8 bytes"));
  CHECK(has(refused_safetensors("{}", data), "cover 0 bytes"));
  CHECK(has(refused_safetensors("{" + entry("a", "F32", "[2]", "[8,0]") + "}", data), "'a' ends (0) before it begins (8)"));
  CHECK(has(refused_safetensors("{" + entry("a", "F32", "[8]", "[0,32]") + "}", data), "'a' ends at byte 32"));
  CHECK(has(refused_safetensors("{" + entry("a", "U8", "[9223372036854775807]", "[0,9223372036854775807]") + "}", data), "'a'"));
}

TEST_CASE("safetensors: shapes that lie or overflow") {
  const std::string data(16, 'x');
  CHECK(has(refused_safetensors("{" + entry("a", "F32", "[5]", "[0,16]") + "}", data), "needs 20 bytes, but its offsets hold 16"));
  CHECK(has(refused_safetensors("{" + entry("a", "F64", "[5]", "[0,16]") + "}", data), "needs 40 bytes"));
  CHECK(has(refused_safetensors("{" + entry("a", "F4", "[3]", "[0,16]") + "}", data), "whole bytes"));
  CHECK(has(refused_safetensors("{" + entry("a", "F32", "[4294967296,4294967296]", "[0,16]") + "}", data), "overflows"));
  CHECK(has(refused_safetensors("{" + entry("a", "F32", "[4611686018427387904,4]", "[0,16]") + "}", data), "overflows"));
  CHECK(has(refused_safetensors("{" + entry("a", "F32", "[4294967296,4294967296,0]", "[0,0]") + "}", ""), "overflows"));
  CHECK(has(refused_safetensors("{" + entry("a", "F32", "[-1]", "[0,16]") + "}", data), "dimension"));
  CHECK(has(refused_safetensors("{" + entry("a", "F32", "[4.0]", "[0,16]") + "}", data), "dimension"));
  CHECK(has(refused_safetensors("{" + entry("a", "F32", "[18446744073709551620]", "[0,16]") + "}", data), "dimension"));
  CHECK(has(refused_safetensors("{" + entry("a", "F32", "[\"4\"]", "[0,16]") + "}", data), "dimension"));
  CHECK(has(refused_safetensors("{" + entry("a", "F32", "[4]", "[0,\"16\"]") + "}", data), "offset"));
  CHECK(has(refused_safetensors<Unsupported>("{" + entry("deep", "F32", "[1,1,1,1,1,1,1,1,4]", "[0,16]") + "}", data), "'deep'"));
}

TEST_CASE("safetensors: headers that are not what the format says") {
  const std::string data(4, 'x');
  CHECK(has(refused_safetensors("{" + entry("a", "F32", "[1]", "[0,4]") + "," + entry("a", "F32", "[1]", "[0,4]") + "}", data), "\"a\" twice"));
  CHECK(has(refused_safetensors("{\"a\":5}", data), "'a' is described by an integer"));
  CHECK(has(refused_safetensors("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", data), "no data_offsets"));
  CHECK(has(refused_safetensors("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", data), "no shape"));
  CHECK(has(refused_safetensors("{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", data), "no dtype"));
  CHECK(has(refused_safetensors("{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", data), "no dtype"));
  CHECK(has(refused_safetensors("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,2,4]}}", data), "two numbers"));
  CHECK(has(refused_safetensors("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", data), "unknown field 'x'"));
  CHECK(has(refused_safetensors("{\"__metadata__\":5}", ""), "__metadata__"));
  CHECK(has(refused_safetensors("{\"__metadata__\":{\"a\":5}}", ""), "__metadata__"));
  CHECK(has(refused_safetensors("{\"\xFF\":5}", ""), "UTF-8"));
  CHECK(has(refused_safetensors("{\"a\":" + std::string(100000, '['), ""), "deeper"));
}

TEST_CASE("safetensors: a bool that is neither 0 nor 1 is refused when it is asked for") {
  const TemporaryFolder temporary;
  const auto file = SafetensorsFile::open(temporary.write("x", safetensors_bytes("{" + entry("flags", "BOOL", "[3]", "[0,3]") + "}", std::string("\0\1\2", 3))));
  CHECK_THROWS_AS(file.tensor<bool>("flags"), BadFile);
}
