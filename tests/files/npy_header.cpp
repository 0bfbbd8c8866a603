#include "cotenant/files/npy_header.hpp"

#include <doctest/doctest.h>

#include <string>

#include "../error_text.hpp"

using namespace cotenant;
using test::has;

namespace {
std::string header_with(const std::string& dictionary, int version = 1) {
  std::string bytes(NpyHeader::magic);
  bytes += static_cast<char>(version);
  bytes += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) bytes += static_cast<char>(static_cast<unsigned char>(dictionary.size() >> (8 * i)));
  return bytes + dictionary;
}
std::string refused_header(const std::string& bytes) {
  try {
    NpyHeader::parse(bytes, "x.npy");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("x.npy") != std::string::npos);
    return std::string(to_string(error.code())) + ": " + error.what();
  }
  return "accepted";
}
}  // namespace

TEST_CASE("npy_header: every way to write the dictionary") {
  for (const char* text : {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   \n", "{\"shape\":(3,4),\"descr\":\"<f4\",\"fortran_order\":False}",
                           "{'fortran_order':False,'shape':(3L,4L,),'descr':'f4'}", " { 'descr' : '=f4' , 'fortran_order' : False , 'shape' : ( 3 , 4 ) } "})
    for (int version : {1, 2, 3}) {
      const NpyHeader header = NpyHeader::parse(header_with(text, version) + "data", "x.npy");
      CHECK(header.dtype == DType::f32);
      CHECK_FALSE(header.fortran_order);
      CHECK(header.shape == Shape{3, 4});
      CHECK(header.data_offset == header_with(text, version).size());
    }
  CHECK(NpyHeader::parse(header_with("{'descr':'|b1','fortran_order':True,'shape':()}"), "x.npy").shape.rank() == 0);
  CHECK(NpyHeader::parse(header_with("{'descr':'|b1','fortran_order':True,'shape':(5,)}"), "x.npy").fortran_order);
}

TEST_CASE("npy_header: element types") {
  const auto type = [](const char* descr) { return NpyHeader::dtype_of_descr(descr); };
  CHECK(type("<f2") == DType::f16);
  CHECK(type("|i1") == DType::i8);
  CHECK(type(">u1") == DType::u8);  // one byte has no order
  CHECK(type("|V2") == DType::bf16);
  CHECK(type("<i8") == DType::i64);
  for (const char* other : {">f4", "<f8", "<u2", "<c8", "|O", "<U3", "|S1", "|V4", "", "<", ">", "f", "<f44"}) CHECK_FALSE(type(other).has_value());
  for (std::size_t i = 0; i < dtype_count; ++i) {
    const auto dtype = static_cast<DType>(i);
    if (dtype != DType::i4x2) CHECK(type(std::string(NpyHeader::descr_of(dtype)).c_str()) == dtype);
  }
}

TEST_CASE("npy_header: text and back, elements aligned") {
  for (const Shape& shape : {Shape{}, Shape{7}, Shape{1, 0, 3}, Shape{1, 2, 3, 4, 5, 6, 7, 1000000}}) {
    const std::string text = NpyHeader::text(DType::f16, true, shape);
    CHECK(text.size() % 64 == 0);
    CHECK(text.back() == '\n');
    const NpyHeader header = NpyHeader::parse(text, "x.npy");
    CHECK(header.shape == shape);
    CHECK(header.dtype == DType::f16);
    CHECK(header.fortran_order);
    CHECK(header.data_offset == text.size());
  }
}

TEST_CASE("npy_header: what is no header") {
  CHECK(has(refused_header(""), "not an npy file"));
  CHECK(has(refused_header("\x93NUMPX"), "not an npy file"));
  CHECK(has(refused_header("\x93NUMPY\1"), "before its version"));
  CHECK(has(refused_header(header_with("{}", 4)), "unsupported"));
  CHECK(has(refused_header(header_with("{}").substr(0, 9)), "before its header"));
  CHECK(has(refused_header(header_with("{}").substr(0, 11)), "truncated"));
  const auto dictionary = [&](const std::string& text) { return refused_header(header_with(text)); };
  CHECK(has(dictionary(""), "no '{'"));
  CHECK(has(dictionary("{"), "no string for a key"));
  CHECK(has(dictionary("{}"), "no descr"));
  CHECK(has(dictionary("{'descr':'<f4','shape':()}"), "no fortran_order"));
  CHECK(has(dictionary("{'descr':'<f4','fortran_order':True}"), "no shape"));
  CHECK(has(dictionary("{'descr':'<f4','fortran_order':True,'shape':()} x"), "goes on"));
  CHECK(has(dictionary("{'descr':'<f4','fortran_order':True,'shape':()"), "no '}'"));
  CHECK(has(dictionary("{'descr':'<f4','descr':'<f4'}"), "twice"));
  CHECK(has(dictionary("{'color':'<f4'}"), "unknown key"));
  CHECK(has(dictionary("{'descr' '<f4'}"), "no ':'"));
  CHECK(has(dictionary("{'descr':'<f\\x34'}"), "no plain string"));
  CHECK(has(dictionary("{'descr':'<f4"), "no plain string"));
  CHECK(has(dictionary("{'descr':5}"), "no string for descr"));
  CHECK(has(dictionary("{'descr':[('a','<f4')]}"), "unsupported"));
  CHECK(has(dictionary("{'fortran_order':1}"), "neither True nor False"));
  for (const char* shape : {"3", "(3)", "(,)", "(3,,4)", "(3 4)", "(-3,)", "(3.0,)", "('3',)", "(3,", "["}) CHECK(has(dictionary(std::string("{'shape':") + shape), "bad_file"));
  CHECK(has(dictionary("{'shape':(99999999999999999999,)}"), "no address can count"));
  CHECK(has(dictionary("{'shape':(1,1,1,1,1,1,1,1,1)}"), "unsupported"));
}
