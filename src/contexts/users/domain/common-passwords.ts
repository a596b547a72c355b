/** Words that passwords are made of by adding digits and signs: `Password123!` is `password` with both. */
export const COMMON_WORDS: ReadonlySet<string> = wordsOf(`
  aaaaaa abc abcabc abcd abcdef abcdefg access admin adminadmin administrator andrew android anthony apple arsenal
  asdfgh asdfghjkl ashley autumn azerty banana barcelona baseball basketball batman blessed business butterfly
  changeit changeme charlie cheese chelsea chocolate company computer contraseña cookie corvette cowboy daniel
  database december default diamond dragon eagle eagles facebook february ferrari flower football fortnite freedom
  friday ginger golden google guest harley haslo hello hellohello helpdesk heslo hockey hunter ilovegod iloveme
  iloveyou internet iphone january jennifer jessica jesus jesuschrist jordan joshua juventus killer lakers letmein
  letmeinnow linux liverpool login lovely loveme manchester master matthew maverick mercedes michael michelle
  microsoft minecraft monday monkey motdepasse mustang mypass mypassword naruto newpassword nicole november
  october oldpassword oracle orange owner p@ssw0rd p@ssword pa$$w0rd pa$$word parola passpass passphrase passw0rd
  password passwordpassword passwort pepper phoenix pokemon porsche postgres princess purple qazwsx qazwsxedc
  qweasd qweasdzxc qwerty qwertyuiop qwertz ranger realmadrid robert root rootroot salasana samantha samsung
  secret senha september server shadow shop silver soccer soldier spiderman spring starwars steelers stoa store
  summer sunshine superman support system temporary temppassword test tester testing testtest thepassword thomas
  thunder tiger tigers tigger trustno trustnoone user wachtwoord warrior welcome welcomeback welcomewelcome
  whatever windows winter yankees yellow yourpassword zxcvbnm
`)

/** Passwords of eight characters and more that stand high in every published list of leaked ones, in lower case. */
export const COMMON_PASSWORDS: ReadonlySet<string> = wordsOf(`
  00000000 0192837465 0987654321 0okm9ijn 1029384756 1111111a 11223344 1122334455 112233445566 123123123 12345678
  123456789 1234567890 12345678910 1234asdf 1234qwer 123654789 123698745 12qwaszx 13579246 135792468 147258369
  147852369 159753456 1a2b3c4d 1a2b3c4d5e 1passw0rd 1password 1q1q1q1q 1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx
  1qaz2wsx3edc 1qaz2wsx3edc4rfv 1qazxsw23edcvfr4 1z2x3c4v 3edc4rfv 4rfv5tgb 5201314520 741258963 741852963
  789456123 87654321 987654321 9876543210 a1111111 a12345678 a123456789 a1b2c3d4 a1b2c3d4e5 a1s2d3f4 a1s2d3f4g5
  aa123456 aa12345678 abc12345 abc123abc abcd1234 abcdefg1 admin123 admin1234 admin@123 administrator1
  administrator123 asd123456 asdf1234 asdfasdf asdfghjkl1 asdfghjkl123 changemechangeme
  correct-horse-battery-staple correcthorsebatterystaple demo1234 google12 guest123 iamtheadmin letmein1
  letmeinplease lkjhgfdsa mnbvcxz1 noonewillknow nopassword openthedoor p455w0rd p4ssw0rd p@ssw0rd1 pass1234
  pass12345 pass@123 pass@1234 passw0rd1 password1! passwordpassword1 poiuytrewq q1w2e3r4 q1w2e3r4t5 q2w3e4r5
  qazwsxedcrfvtgb qq123456 qwaszx12 qweqweqwe qwer1234 qwerty12 qwerty123 qwerty1234 qwerty123456789
  qwertyuiop12345 qwertyuiop123456 qwertyuiopasdfgh root1234 test1234 test123456 thisisapassword thisismypassword
  trustno1 trustno1! user1234 woaini1314 woaini520 xsw2zaq1 xxxxxxxx zaq12wsx zaq1xsw2 zaq1zaq1 zxcvbnm1
  zxcvbnm123
`).add('correct horse battery staple')

function wordsOf(text: string): Set<string> {
  return new Set(text.trim().split(/\s+/))
}
